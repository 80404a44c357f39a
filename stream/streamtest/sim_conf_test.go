package streamtest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A conf is what a run is like: drawn first, so that some runs have many
// faults of few kinds, and some none.
type conf struct {
	inputs, loops int32
	shape         shape
	members       []memberConf
	emitters      int
	views         int
	viewDisk      bool
	posts         int // of each emitter
	tags          int
	onlyPlus      bool // posts take nothing back
	acts          int

	commit      time.Duration
	maxStaged   int
	session     time.Duration
	pace        time.Duration // at most between two steps of the clock
	purgeInputs bool
	smallReads  bool
	standbys    int
	warmUps     int
	near        int64 // changelog records that a copy may lack
	gather      int   // bytes that lazy changes may lie in memory with; 0: as usual

	meanwhile   float64 // of a call, that others get in between
	unavailable float64 // of a call
	holes       float64 // of a commit
	fates       float64 // of a commit, that something happens to it
	logCrash    float64 // of these
	poison      float64 // of a post
	weights     [actKinds]int
}

type memberConf struct {
	static  bool // has an instance id of its own
	disk    bool
	threads int // at most; fewer in some lives
	skew    time.Duration
	late    bool // is not there at the start
}

func drawConf(rng *rand.Rand) *conf {
	maybe := func(p float64) float64 { // a kind of fault that half of the runs do not have
		if rng.IntN(2) == 0 {
			return 0
		}
		return p * rng.Float64()
	}
	c := &conf{
		inputs: 1 + rng.Int32N(4), loops: 1 + rng.Int32N(4),
		shape:    shape{combine: rng.IntN(3) > 0, totals: rng.IntN(3) > 0, audit: rng.IntN(3) > 0, joined: rng.IntN(4) == 0, output: rng.IntN(2) == 0},
		emitters: 1 + rng.IntN(2), views: rng.IntN(3), viewDisk: rng.IntN(2) == 0,
		posts: 10 + rng.IntN(60), tags: 1 + rng.IntN(12), acts: 200 + rng.IntN(800),
		commit: []time.Duration{1, 10, 50}[rng.IntN(3)] * time.Millisecond, maxStaged: 1 << 20,
		session:    []time.Duration{300 * time.Millisecond, 2 * time.Second}[rng.IntN(2)],
		pace:       []time.Duration{20, 40, 250}[rng.IntN(3)] * time.Millisecond,
		smallReads: rng.IntN(3) == 0, purgeInputs: rng.IntN(6) == 0,
		meanwhile: maybe(0.3), unavailable: maybe(0.2), holes: maybe(0.8), fates: maybe(0.6), poison: maybe(0.3),
	}
	if c.session < time.Second {
		c.pace = min(c.pace, 40*time.Millisecond) // else nobody stays for long
	}
	c.logCrash, c.onlyPlus = maybe(0.2), rng.IntN(3) == 0
	if rng.IntN(3) == 0 {
		c.maxStaged = 300 + rng.IntN(2000)
	}
	if !c.purgeInputs && rng.IntN(3) > 0 {
		c.shape.keep = []time.Duration{200 * time.Millisecond, 5 * time.Second, time.Hour}[rng.IntN(3)]
		c.onlyPlus = false // what is replaced is taken back
	}
	if c.shape.joined = c.shape.joined && c.shape.totals && c.shape.audit; c.shape.joined {
		c.loops = c.inputs
	}
	for n := range 1 + rng.IntN(4) {
		m := memberConf{static: rng.IntN(2) == 0, disk: rng.IntN(2) == 0, threads: 1 + rng.IntN(3), late: n > 0 && rng.IntN(2) == 0}
		if rng.IntN(4) == 0 {
			m.skew = time.Duration(rng.IntN(7200)-3600) * time.Second
		}
		c.members = append(c.members, m)
	}
	c.standbys, c.warmUps, c.near = rng.IntN(3), 1+rng.IntN(3), 1+rng.Int64N([]int64{1, 3, 30}[rng.IntN(3)])
	if rng.IntN(3) == 0 {
		c.members = append(c.members, memberConf{disk: rng.IntN(2) == 0, threads: 1, late: true})
	}
	c.gather = []int{1, 500, 5000, 0}[rng.IntN(4)]
	c.drawWeights(rng)
	return c
}

// drawWeights decides how often what happens.
func (c *conf) drawWeights(rng *rand.Rand) {
	rare := func(most int) int {
		if rng.IntN(2) == 0 {
			return 0
		}
		return 1 + rng.IntN(most)
	}
	c.weights = [actKinds]int{
		actFeed: 30, actEmit: 60, actStep: 300, actJob: 150, actView: 30, actRead: 20,
		actTime: 60 + rng.IntN(100), actStart: 20, actForeign: rare(20), actLag: rare(10),
		actKill: rare(15), actStop: rare(10), actFreeze: rare(15), actOrphan: 20,
		actLong: rare(25), actJump: rare(3), actPowerLoss: rare(4), actCompact: rare(10), actVisit: rare(8),
		actKillView: rare(8), actKillEmitter: rare(8), actSkew: rare(6), actGrow: rare(3),
	}
}

func (c *conf) String() string {
	return fmt.Sprintf("%+v", *c)
}
