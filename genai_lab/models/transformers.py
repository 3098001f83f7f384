"""A loaded transformers model as a Generator: rendering, tokens, the scheduler."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.decoding import Token
from genai_lab.decoding.detokenizer import Detokenizer
from genai_lab.errors import BadSetting, LabError, ModelError, PromptTooLong
from genai_lab.models import Card, Generator, Options, Prompt, Request, Stream
from genai_lab.models.chat import PromptRenderer, check_length
from genai_lab.models.loading import reading_weights
from genai_lab.models.sizing import PACKED_DTYPES, graph_bytes
from genai_lab.models.tokenizer_panics import clear_panics

if TYPE_CHECKING:
    from genai_lab.decoding.sequences import DecodingSequence
    from genai_lab.decoding.soft_prompt import SoftPrompt

log = logging.getLogger(__name__)
DECODED = 50_000
ENCODED = 2048
COARSE = "Computed with {}, where rounding follows what else is in the batch: a replay may give another text."


class LocalGenerator:
    """A decoder-only or encoder-decoder model in this process. One scheduler thread serves all requests.

    A `variant` shares its tensors with another model; `owned` is a generator that is closed with this one.
    """

    def __init__(self, card: Card, module: Any, tokenizer: Any, context: int, variant: bool = False) -> None:
        from genai_lab.decoding.packed_weights import packed_rows
        from genai_lab.decoding.scheduler import SMALL, Scheduler
        from genai_lab.decoding.traced_step import LARGEST, packs

        self.card, self.module, self.tokenizer, self.context = card, module, tokenizer, context
        self.seq2seq = bool(module.config.is_encoder_decoder)
        self.token_text = lru_cache(maxsize=None)(self._token_text)
        # A traced step packs a copy of the weights, which would undo the sharing of large ones.
        self.scheduler = Scheduler(module, self.token_text, traced=SMALL if variant else LARGEST)
        self.owned: Generator | None = None
        # A variant's tensors are its base's but for a few; a packed graph holds a copy.
        traces = self.scheduler.traces
        copies = 2 if traces and packs(module) else 1
        self.tensor_bytes = None if variant else copies * bytes_of(module)
        # What the first steps will take beside what loading took.
        self.later_bytes = (copies - 1) * bytes_of(module) + (graph_bytes(module.config.to_dict()) if traces else 0)
        self._ends = _end_ids(module, tokenizer)
        self._byte_of = byte_tokens(tokenizer)
        dtype = str(module.dtype).removeprefix("torch.")
        coarse = "packed weights" if packed_rows(module) is not None else dtype
        self._notes = () if coarse in ("float32", "float64") else (COARSE.format(coarse),)
        # The tokenizer's own core does the same without the checks that transformers makes on every call.
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._tokenizing = threading.Lock()
        # A prompt is counted before it is sent, and rows of a call begin alike.
        self._encoded = lru_cache(maxsize=ENCODED)(self._encode_anew)
        self.render = PromptRenderer(tokenizer, card.name).render
        # A stream decodes its last two tokens at every step, and texts repeat their pairs.
        self._decoded = lru_cache(maxsize=DECODED)(self._decode_anew)

    def submit(self, requests: Sequence[Request], *, soft: "SoftPrompt | None" = None) -> list[Stream]:
        """`soft` stands before every prompt."""
        by_request = [self._rows(request, soft) for request in requests]
        sampled: list[DecodingSequence] = []
        for rows in by_request:
            if rows[0].sampling.num_beams > 1:
                self.scheduler.call(lambda rows=rows: self._beam_search(rows))  # type: ignore[misc]
            else:
                sampled += rows
        if sampled:
            self.scheduler.submit(sampled)
        return [rows[0].stream for rows in by_request]

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self._encode(self.render(prompt), prompt.mode)) + len(prompt.prefix)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return [(token, self.token_text(token)) for token in self._encode(text, "completion", special=False)]

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        prompt_ids = [] if self.seq2seq else self._encode(self.render(prompt), prompt.mode)
        return (*self._decoder_start(), *prompt_ids, *prompt.prefix)

    def prefix_text(self, prompt: Prompt) -> str:
        before = self.context_ids(replace(prompt, prefix=()))
        detokenizer = Detokenizer(self._decode, before, self._byte_of)
        return "".join(map(detokenizer.push, prompt.prefix))

    @property
    def busy(self) -> bool:
        return self.scheduler.busy

    def prepare(self) -> None:
        """Makes at once what would be made between texts, so that speeds can be compared."""
        self.scheduler.prepare()

    def close(self) -> None:
        self.scheduler.close()
        self.module = None
        self.scheduler.network.close()
        if self.owned is not None:
            self.owned.close()

    def _rows(self, request: Request, soft: "SoftPrompt | None") -> "list[DecodingSequence]":
        from genai_lab.decoding.sequences import DecodingSequence, TokenStream

        prompt, sampling = request.prompt, request.sampling.seeded()
        if sampling.num_beams > 1 and sampling.num_return_sequences > sampling.num_beams:
            raise BadSetting(
                "num_return_sequences", sampling.num_return_sequences, f"at most the {sampling.num_beams} beams"
            )
        rendered = self.render(prompt)
        ids = self._encode(rendered, prompt.mode)
        if not self.seq2seq:
            ids += prompt.prefix
        if not ids:
            raise LabError("The prompt is empty; type something or choose an example.")
        decoder_prefix = [*self._decoder_start(), *prompt.prefix] if self.seq2seq else []
        read, written = self._sizes(ids, decoder_prefix, soft)
        if max(read, written) >= self.context:
            raise PromptTooLong(max(read, written), self.context)
        stream = TokenStream(sampling.num_return_sequences, rendered)
        return [
            DecodingSequence(
                prompt=ids,
                decoder_prefix=decoder_prefix,
                shared=self._shared(prompt, rendered, ids),
                soft=soft,
                stream=stream,
                index=index,
                sampling=sampling,
                context=list(decoder_prefix) if self.seq2seq else list(ids),
                before=decoder_prefix if self.seq2seq else ids,
                decode=self._decode,
                byte_of=self._byte_of,
                notes=self._notes,
                ends=self._ends,
                room=min(sampling.max_new_tokens, self.context - written),
                trace=request.trace,
                return_logits=request.return_logits,
            )
            for index in range(sampling.num_return_sequences)
        ]

    def _sizes(self, ids: list[int], decoder_prefix: list[int], soft: "SoftPrompt | None") -> tuple[int, int]:
        """Tokens that are read, and of the decoder's context those that are taken, virtual ones among them."""
        virtual = soft.size if soft is not None else 0
        if not self.seq2seq:
            return virtual + len(ids), virtual + len(ids)
        decoder = virtual if soft is not None and soft.keys_values is not None else 0
        return virtual - decoder + len(ids), decoder + len(decoder_prefix)

    def _shared(self, prompt: Prompt, rendered: str, ids: list[int]) -> int:
        """Tokens that what the prompt shares surely fills; the last one may reach beyond it."""
        if not prompt.shared or self.seq2seq:
            return 0
        if prompt.mode != "chat":
            return max(0, len(self._encode(rendered[: prompt.shared], prompt.mode)) - 1)
        # A template may write more behind the last message that it is given, so only what is equal counts.
        before = self._encode(self.render(replace(prompt, messages=prompt.messages[: prompt.shared])), prompt.mode)
        return next(
            (n for n, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), min(len(before), len(ids))
        )

    def _decoder_start(self) -> list[int]:
        if not self.seq2seq:
            return []
        config = self.module.generation_config
        start = config.decoder_start_token_id
        return [config.bos_token_id if start is None else start]

    def _encode(self, text: str, mode: str, special: bool = True) -> list[int]:
        return list(self._encoded(text, special and mode != "chat"))

    def _encode_anew(self, text: str, special: bool) -> tuple[int, ...]:
        check_length(text)
        with self._tokenizing, clear_panics(f"The tokenizer of {self.card.name}"):
            return tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def _decode(self, ids: list[int]) -> str:
        return self._decoded(tuple(ids))

    def _decode_anew(self, ids: tuple[int, ...]) -> str:
        with clear_panics(f"The tokenizer of {self.card.name}"):
            if self._backend is not None:
                return str(self._backend.decode(list(ids), skip_special_tokens=True))
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _token_text(self, token_id: int) -> str:
        with clear_panics(f"The tokenizer of {self.card.name}"):
            piece = self.tokenizer.convert_ids_to_tokens(token_id)
            if isinstance(piece, str) and piece.startswith("▁"):
                return piece.replace("▁", " ")
            return str(self.tokenizer.decode([token_id], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _beam_search(self, rows: "list[DecodingSequence]") -> None:
        """transformers' own beam search, in the scheduler's thread; the texts come when it is done."""
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        from genai_lab.decoding.sequences import as_lab_error

        first, yield_to_batch = rows[0], self.scheduler.yield_to_batch
        if first.finished is not None:
            return

        class Cancelled(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **decoder_inputs: Any) -> Any:
                yield_to_batch()
                return torch.full((input_ids.shape[0],), first.stream.cancelled, device=input_ids.device)

        sampling = first.sampling
        ids = torch.tensor([first.prompt], device=self.module.device)
        decoder_inputs: dict[str, Any] = (
            {"decoder_input_ids": torch.tensor([first.decoder_prefix], device=self.module.device)}
            if self.seq2seq
            else {}
        )
        try:
            module = self.module if first.soft is None else first.soft.module
            out = module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=first.room,
                do_sample=False,
                num_beams=sampling.num_beams,
                num_return_sequences=len(rows),
                repetition_penalty=sampling.repetition_penalty,
                no_repeat_ngram_size=sampling.no_repeat_ngram_size,
                pad_token_id=self.tokenizer.pad_token_id or min(self._ends, default=0),
                stopping_criteria=StoppingCriteriaList([Cancelled()]),
                **decoder_inputs,
            )
            skip = len(first.decoder_prefix) if self.seq2seq else len(first.prompt)
            for row, ids in zip(rows, out[:, skip:].tolist(), strict=True):
                for token_id in ids:
                    row.push(Token(token_id, self.token_text(token_id)))
                row.close("length")
        except Exception as problem:
            first.stream.fail(as_lab_error(problem))


def bytes_of(module: Any) -> int:
    """Of all tensors of a module, each storage once."""
    storages = [part.untyped_storage() for part in (*module.parameters(), *module.buffers())]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def load_local(path: Path, card: Card, options: Options) -> LocalGenerator:
    """Reads safetensors weights from a folder; raises ModelError in one sentence for what cannot be read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging as talk

    from genai_lab.decoding.packed_weights import pack_weights

    # What matters of it comes as a sentence; the rest would stand between a command's lines.
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    device, dtype = choose_device(options.device), options.dtype
    options_kept: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(path, **options_kept)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        packed = dtype in PACKED_DTYPES
        if packed and device != "cpu":
            raise BadSetting("dtype", dtype, f"one that runs on {device}: auto, float32, bfloat16 or float16")
        if packed or (dtype == "auto" and device != "cpu"):
            torch_dtype: Any = "auto"
        else:
            torch_dtype = torch.float32 if dtype == "auto" else getattr(torch, dtype)
        with reading_weights():
            loaded: Any = kind.from_pretrained(
                path, config=config, use_safetensors=True, dtype=torch_dtype, output_loading_info=True, **options_kept
            )
        module, loading_info = loaded
        _refuse_missing(card, sorted(loading_info["missing_keys"]))
        module = pack_weights(module, dtype) if packed else module.to(device)
        module.eval()
        tokenizer = AutoTokenizer.from_pretrained(path, config=config, **options_kept)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as problem:
        log.info("loading %s failed", path, exc_info=problem)
        reason = str(problem).strip().splitlines()[0][:300] if str(problem).strip() else type(problem).__name__
        raise ModelError(f"{card.name} cannot be loaded: {reason}") from problem
    return LocalGenerator(card, module, tokenizer, context_of(module, tokenizer))


def _refuse_missing(card: Card, missing: list[str]) -> None:
    """transformers fills weights that a checkpoint lacks with random numbers and goes on."""
    if missing:
        suffix = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{card.name} cannot be loaded: its weights do not include {missing[0]}{suffix}, so the files are not "
            "the complete model; download or save it again."
        )


def choose_device(device: str) -> str:
    """CUDA where there is one, then Apple's, then the CPU; raises BadSetting for one that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, available in there.items() if available)
    if not there.get(device, False):
        raise BadSetting(
            "device", device, f"one that is there: {', '.join(n for n, available in there.items() if available)}"
        )
    return device


def context_of(module: Any, tokenizer: Any) -> int:
    """Tokens that the model can read: its positions, and no more than a sliding window of attention."""
    config = module.config.get_text_config(decoder=True)
    sizes = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "sliding_window")]
    if module.config.model_type in ("t5", "mt5", "umt5") and not sizes[1]:
        sizes.append(1024)
    positions = [size for size in sizes if isinstance(size, int) and size > 0]
    return min(positions, default=min(getattr(tokenizer, "model_max_length", 2048), 2048))


def byte_tokens(tokenizer: Any) -> dict[int, int]:
    """The values of the tokens that stand for single bytes ("<0xE6>"), {} for a tokenizer that has none."""
    byte_of = {}
    for byte in range(256):
        token = tokenizer.convert_tokens_to_ids(f"<0x{byte:02X}>")
        if token is None or token == tokenizer.unk_token_id:
            return {}
        byte_of[token] = byte
    # Others may have such a text as a word.
    letter = next(token for token, byte in byte_of.items() if byte == ord("A"))
    return byte_of if tokenizer.decode([letter]).strip() == "A" else {}


def _end_ids(module: Any, tokenizer: Any) -> frozenset[int]:
    ends = module.generation_config.eos_token_id
    ids = set(ends) if isinstance(ends, list) else {ends}
    return frozenset(token for token in {*ids, tokenizer.eos_token_id} if token is not None)
