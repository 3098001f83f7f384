"""Fine-tuning: what is learned (objectives), which weights are trained (methods), and the loop that all share."""

from genai_lab.training.plan import ARCHITECTURES as ARCHITECTURES
from genai_lab.training.plan import BY_MODEL as BY_MODEL
from genai_lab.training.plan import FORMATS as FORMATS
from genai_lab.training.plan import MIXING as MIXING
from genai_lab.training.plan import Architecture as Architecture
from genai_lab.training.plan import DatasetSpec as DatasetSpec
from genai_lab.training.plan import Training as Training
from genai_lab.training.plan import TrainingPlan as TrainingPlan
from genai_lab.training.plan import architecture_of as architecture_of
from genai_lab.training.reporter import Reporter as Reporter
