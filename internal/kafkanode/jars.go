//go:build unix

package kafkanode

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

//go:embed pom.xml
var pom []byte

// minJava is the oldest Java that Kafka 4 runs on.
const minJava = 17

// classPath returns the class path of a broker. What is not in dir yet is
// resolved by Maven, once; others who want the same meanwhile wait for it.
func classPath(ctx context.Context, dir string, progress io.Writer) (string, error) {
	jars := filepath.Join(dir, fmt.Sprintf("jars-%.6x", sha256.Sum256(pom)))
	if there(jars) {
		return filepath.Join(jars, "*"), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a place for the broker's jars: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if there(jars) { // somebody else had the lock before us
		return filepath.Join(jars, "*"), nil
	}
	fmt.Fprintln(progress, "kafka: fetching Apache Kafka with Maven, once; this takes a minute")
	if err := resolve(ctx, dir, jars); err != nil {
		return "", err
	}
	return filepath.Join(jars, "*"), nil
}

// resolve makes the folder of jars, all of it or nothing.
func resolve(ctx context.Context, dir, jars string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("no mvn on the PATH, and Maven is needed once, to fetch Apache Kafka: install maven (apt-get install maven, brew install maven)")
	}
	project, err := os.MkdirTemp(dir, "resolving-")
	if err != nil {
		return fmt.Errorf("make a place for Maven: %w", err)
	}
	defer os.RemoveAll(project)
	if err := os.WriteFile(filepath.Join(project, "pom.xml"), pom, 0o644); err != nil {
		return fmt.Errorf("write the pom: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars")
	cmd.Dir = project
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Apache Kafka with Maven (it needs its registry, see ~/.m2/settings.xml): %w\n%s", err, tail(out, 20))
	}
	if err := os.Rename(filepath.Join(project, "jars"), jars); err != nil {
		return fmt.Errorf("keep the broker's jars: %w", err)
	}
	return nil
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lock waits until nobody else has the file locked.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the broker's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

var javaVersion = regexp.MustCompile(`version "(\d+)(?:\.(\d+))?`)

// java finds a Java that is new enough, and what it says of its version: in home,
// else on the PATH.
func java(ctx context.Context, home string) (path string, version []byte, err error) {
	name := "java"
	if home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	if path, err = exec.LookPath(name); err != nil {
		return "", nil, fmt.Errorf("no %s, and Apache Kafka needs Java %d or newer: install openjdk-17-jre-headless", name, minJava)
	}
	if version, err = exec.CommandContext(ctx, path, "-version").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("ask %s for its version: %w\n%s", path, err, version)
	}
	if got := majorVersion(version); got < minJava {
		return "", nil, fmt.Errorf("%s is %d, and Apache Kafka needs Java %d or newer: install openjdk-17-jre-headless, or set JAVA_HOME", path, got, minJava)
	}
	return path, version, nil
}

// majorVersion reads what java -version prints; 0 if it makes no sense. Before
// 9 it was 1.8, and so on.
func majorVersion(out []byte) int {
	m := javaVersion.FindSubmatch(out)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(m[1]))
	if major == 1 {
		major, _ = strconv.Atoi(string(m[2]))
	}
	return major
}

// moduleRoot is the nearest folder above the working directory with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if there(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = fs.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	return "", fmt.Errorf("find the module's root: %w", err)
}
