"""The article's producer, with a file in place of the Twitter stream: each
tweet goes to the topic as the network sent it, without a key.

    python article_producer.py HOST:PORT[,...] TOPIC < tweets.jsonl
"""
import sys

from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers=sys.argv[1].split(","))
sent = [producer.send(sys.argv[2], data.rstrip("\n").encode("utf-8")) for data in sys.stdin]
for one in sent:
    one.get(timeout=60)
producer.close()
print(len(sent))
