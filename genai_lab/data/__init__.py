"""Tables of examples: read from files, with roles and splits, stored as Parquet."""

from genai_lab.data.types import ROLES as ROLES
from genai_lab.data.types import SPLIT as SPLIT
from genai_lab.data.types import SPLITS as SPLITS
from genai_lab.data.types import BadRow as BadRow
from genai_lab.data.types import BadRows as BadRows
from genai_lab.data.types import Column as Column
from genai_lab.data.types import Example as Example
from genai_lab.data.types import Kind as Kind
from genai_lab.data.types import Note as Note
from genai_lab.data.types import Role as Role
from genai_lab.data.types import SplitPlan as SplitPlan
