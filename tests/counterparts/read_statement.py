"""Reads a camt.053 on standard input with the package pycamt, and says in JSON what that found in it."""

import json
import sys

from pycamt.parser import Camt053Parser

parser = Camt053Parser(sys.stdin.buffer.read())
found = {"statements": parser.get_statement_info(), "transactions": parser.get_transactions()}
json.dump(found, sys.stdout, default=str)
