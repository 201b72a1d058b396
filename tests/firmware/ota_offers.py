"""A board that is offered what stands in a file, and tells what it makes of it, for MicroPython and CPython.

ota_offers.py OFFERS.JSON FOLDER
"""

# ruff: noqa: PTH123 - MicroPython has no pathlib

import binascii
import json
import sys

import ota_rig as rig
from upy.slots import Files
from upy.update import Updater


def main(path, folder):
    with open(path) as file:
        told = json.load(file)
    found = {}
    for number, case in enumerate(told["offers"]):
        files = Files("%s/%d" % (folder, number))  # noqa: UP031 - a chip's way to write it
        Files(folder).make_folder(str(number))
        files.make_folder("a")
        files.write("a/manifest", told["installed"].encode())
        files.write("update.keys", "\n".join(told["keys"]).encode())
        agent = rig.Agent()
        updater = Updater(agent, files=files, restart=rig.restarted)
        agent.parts["_update"](binascii.unhexlify(case["offer"]), True)
        refused = agent.said()["refused"]
        assert updater.busy == (refused is None), case["name"]
        found[case["name"]] = refused["code"] if refused else ""
    print(json.dumps(found))


main(*sys.argv[1:])
