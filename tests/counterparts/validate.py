"""Checks a message on standard input against its ISO 20022 schema: `validate.py camt.053.001.08 < message.xml`.

The schemas lie in the packages camt053 and pain001, of which no code is run.
"""

import sys
import sysconfig
from pathlib import Path

from lxml import etree


def schema_of(message):
    packages = Path(sysconfig.get_path("purelib"))
    for path in (
        packages / "camt053" / "xsd" / f"{message}.xsd",
        packages / "pain001" / "templates" / message / f"{message}.xsd",
    ):
        if path.is_file():
            return etree.XMLSchema(etree.parse(path))
    sys.exit(f"no schema of {message}")


def main():
    schema = schema_of(sys.argv[1])
    document = etree.fromstring(sys.stdin.buffer.read()).getroottree()
    if not schema.validate(document):
        sys.exit("\n".join(f"line {error.line}: {error.message}" for error in schema.error_log))


main()
