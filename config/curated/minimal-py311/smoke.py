import subprocess
import sys

assert sys.version_info[:2] == (3, 11)
subprocess.run([sys.executable, "-m", "pip", "check"], check=True)
