"""The same users, driven by locust: a WebSocket for each; a task sends a message and reads until it is
accepted. Started by the comparison (see src/main.rs), which sets the environment."""

import itertools
import json
import os

import websocket
from locust import User, constant, events, task

PEOPLE = [json.loads(line) for line in open(os.environ["PEOPLE"])]
THINK = int(os.environ["THINK_MS"]) / 1000
index = itertools.count()
counts = {"accepted": 0, "delivered": 0}


class Person(User):
    wait_time = constant(THINK)

    def on_start(self):
        self.person = PEOPLE[next(index) % len(PEOPLE)]
        self.sent = 0
        self.socket = websocket.create_connection(
            f"ws://{os.environ['GATEWAY']}/v1/ws", subprotocols=["fracas.v1.json"]
        )
        self.socket.send(json.dumps({"hello": {"token": self.person["token"], "device": 1}}))
        while "attached" not in self.frame():
            pass

    def frame(self):
        while True:
            frame = json.loads(self.socket.recv())
            if "ping" not in frame:
                return frame
            self.socket.send(json.dumps({"pong": frame["ping"]}))

    @task
    def message(self):
        self.sent += 1
        body = f"message {self.sent} of user {self.person['user']}"
        send = {"conversation": self.person["conversation"], "client_message_id": self.sent, "body": body}
        self.socket.send(json.dumps({"send": send}))
        while True:
            frame = self.frame()
            if frame.get("entry", {}).get("author", self.person["user"]) != self.person["user"]:
                counts["delivered"] += 1
            elif frame.get("accepted", {}).get("client_message_id") == self.sent:
                counts["accepted"] += 1
                return


@events.quitting.add_listener
def tell(**_):
    print(json.dumps(counts), flush=True)
