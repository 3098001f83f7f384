"""The command line: everything that a page can start, without the page. One module per group of commands."""

from genai_lab.cli.base import COMMANDS as COMMANDS
from genai_lab.cli.base import Parser as Parser
from genai_lab.cli.base import main as main
from genai_lab.cli.base import parser as parser
