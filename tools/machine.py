"""Which processor this is: two of a kind compute the same bits, others need not."""

import platform
import re
import subprocess
from pathlib import Path

# On which processor `make data` made each stored result; of older ones nobody wrote it down.
MADE = Path(__file__).resolve().parent.parent / "data" / "proof" / "stores.json"
CPUINFO = Path("/proc/cpuinfo")
# Of x86 and of ARM; the name alone ("AMD EPYC") hides generations that round differently.
FIELDS = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")


def processor() -> str:
    """Vendor, family and model, as in "AuthenticAMD 25 17"; what the system calls it elsewhere."""
    if CPUINFO.exists():
        first = CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        found = dict(re.findall(r"^([^\t:]+?)\s*:\s*(.*)$", first, re.MULTILINE))
        return " ".join(found[name] for name in FIELDS if name in found) or platform.machine()
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def kind(processor: str, versions: str) -> str:
    """What decides the bits of a run: processor, and torch with the instructions that it uses.

    `versions` is a line of ``course_utils._environment.provenance``. Two results of the same
    kind are to be equal; "" means that nobody knows, and is like nothing, not even itself.
    """
    torch = re.search(r"torch \S+ \(\w+\)", versions)
    return f"{processor}, {torch[0]}" if processor and torch else ""
