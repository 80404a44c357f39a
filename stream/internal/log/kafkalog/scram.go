package kafkalog

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// scram begins a conversation of a SCRAM mechanism.
func (m Mechanism) scram() sarama.SCRAMClient {
	hash := scram.SHA256
	if m == ScramSHA512 {
		hash = scram.SHA512
	}
	return &scramClient{hash: hash}
}

// A scramClient is one conversation, as sarama wants it.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

// Begin implements [sarama.SCRAMClient].
func (c *scramClient) Begin(user, password, authzID string) error {
	client, err := c.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	c.conversation = client.NewConversation()
	return nil
}

// Step implements [sarama.SCRAMClient].
func (c *scramClient) Step(challenge string) (string, error) { return c.conversation.Step(challenge) }

// Done implements [sarama.SCRAMClient].
func (c *scramClient) Done() bool { return c.conversation.Done() }
