package bluesky

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/zstd"
)

// A dictionary is what a server packs its frames with.
type dictionary struct {
	id   uint32
	data []byte
}

// maxDictionary is the largest dictionary in bytes that is taken.
const maxDictionary = 1 << 20

func parseDictionary(data []byte) (*dictionary, error) {
	d, err := zstd.InspectDictionary(data)
	if err != nil {
		return nil, fmt.Errorf("no zstd dictionary: %w", err)
	}
	return &dictionary{d.ID(), data}, nil
}

// decoder returns a decoder of frames, which unpack to at most so many bytes.
// The caller closes it.
func (d *dictionary) decoder(maxFrame int) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderDicts(d.data), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(uint64(maxFrame)), zstd.WithDecoderLowmem(true))
}

// packing returns the server's dictionary, or nil if frames should be plain.
func (s *Source) packing(ctx context.Context, srv *server) *dictionary {
	if s.o.Plain || srv.first || srv.plain {
		return nil
	}
	if srv.packing == nil {
		d, err := s.fetchDictionary(ctx, srv)
		if err != nil {
			s.logger.Info("frames will be plain: there is no dictionary", "server", srv.name, "problem", err)
			return nil
		}
		srv.packing = d
	}
	return srv.packing
}

func (s *Source) fetchDictionary(ctx context.Context, srv *server) (*dictionary, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Handshake)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.dictionaryURL(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", s.o.UserAgent)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, unwrapURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDictionary+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDictionary {
		return nil, fmt.Errorf("the dictionary has more than %d bytes", maxDictionary)
	}
	return parseDictionary(data)
}
