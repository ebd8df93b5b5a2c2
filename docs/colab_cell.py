import os
import subprocess
import sys

REPOSITORY = "https://github.com/NAME/dprnn-lab"

if not os.path.exists("claims.py"):  # a second run finds itself in the folder of the notebooks already
    if not os.path.isdir("dprnn-lab"):
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, "dprnn-lab"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "dprnn-lab"], check=True)
    os.chdir("dprnn-lab/notebooks")
    # A running kernel does not see the installation.
    sys.path[:0] = [os.getcwd(), os.path.dirname(os.getcwd())]
