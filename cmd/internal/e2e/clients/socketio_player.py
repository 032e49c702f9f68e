"""A player with python-socketio: socketio_player.py default|websocket|msgpack.

Its orders come in PLAYER_INPUT, its result goes out as one line of JSON, as player.mjs has them.
"""
import json
import os
import sys
import threading

import socketio

orders = json.loads(os.environ["PLAYER_INPUT"])
transports = {"default": None, "websocket": ["websocket"], "msgpack": None}[sys.argv[1]]
serializer = "msgpack" if sys.argv[1] == "msgpack" else "default"
result = {"name": orders["name"], "score": 0, "rank": 0, "questions": 0, "durable": 0, "receipts": 0, "ended": False}
over = threading.Event()
client = socketio.Client(reconnection=False, serializer=serializer)


def look():
    if result["ended"] and result["durable"] == result["questions"] == result["receipts"]:
        over.set()


def answer(number):
    data = {"question": number, "answer": orders["answers"][str(number)], "key": "k%d" % number}

    def acknowledged(reply):
        if reply["ok"] and reply["data"]["durable"]:
            result["durable"] += 1
        else:
            print("an answer was refused:", reply, file=sys.stderr)
        result["receipts"] += 1
        look()

    client.emit("quiz:answer", data, callback=acknowledged)


@client.on("quiz:question")
def question(data, meta, _offset):
    result["questions"] += 1
    threading.Timer((data["opensAt"] - meta["ts"] + 50) / 1000, answer, [data["number"]]).start()


@client.on("quiz:rank")
def rank(data, _meta):
    result["score"], result["rank"] = data["score"], data["rank"]


@client.on("quiz:end")
def end(*_):
    result["ended"] = True
    look()


client.connect(orders["base"], auth={"token": orders["token"]}, transports=transports, wait_timeout=10)
reply = client.call("room:join", {"room": orders["room"]}, timeout=10)
if not reply["ok"]:
    sys.exit("the join was refused: %s" % reply["error"])
if not over.wait(60):
    sys.exit("the game does not end: %s" % json.dumps(result))
print(json.dumps(result))
client.disconnect()
