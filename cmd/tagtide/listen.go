package main

import (
	"errors"
	"fmt"
	"net"
)

// listeners are the addresses that were asked for, by flag.
type listeners map[string]net.Listener

// listen opens the addresses, before anything else is begun.
func listen(addresses map[string]string) (listeners, error) {
	l := listeners{}
	for flag, address := range addresses {
		if address == "" {
			continue
		}
		var err error
		if l[flag], err = net.Listen("tcp", address); err != nil {
			delete(l, flag)
			err = fmt.Errorf("%s %s: %w", flag, address, err)
			if malformed := new(net.AddrError); errors.As(err, &malformed) {
				err = usagef("%w: name it as HOST:PORT", err)
			}
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l listeners) close() error {
	var errs []error
	for _, one := range l {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
