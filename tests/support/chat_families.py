"""Chat templates of the published families: short imitations, written from what the real ones
produce."""

from functools import cache
from typing import Any, NamedTuple

from support import made_tokenizers as made
from support.made_models import loaded_with


class Family(NamedTuple):
    template: str
    special: tuple[str, ...]
    eos: str
    opening: str
    """What the template opens the turn with."""
    answer: str | None
    """What it writes before an answer, where that is something else."""
    reasoning: str | None = None
    """What it writes before the reasoning of an answer, where it has a place for that."""


def qwen(opening: str) -> str:
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}"
        "<think>\n{{ (m.reasoning_content or '').strip('\n') }}\n</think>\n\n"
        "{{ m.content.lstrip('\n') }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
        "{% else %}" + opening + "{% endif %}{% endif %}"
    )


THOUGHTLESS = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
FAMILIES = {
    "qwen 3": Family(
        qwen(""), ("<|im_start|>",), "<|im_end|>",
        "<|im_start|>assistant\n", THOUGHTLESS, "<|im_start|>assistant\n<think>\n",
    ),
    "qwen 3.5": Family(
        qwen("<think>\n"), ("<|im_start|>",), "<|im_end|>",
        "<|im_start|>assistant\n<think>\n", THOUGHTLESS, "<|im_start|>assistant\n<think>\n",
    ),
    "deepseek r1": Family(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}"
        "{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}",
        ("<｜User｜>", "<｜Assistant｜>"), "<｜end▁of▁sentence｜>",
        "<｜Assistant｜><think>\n", "<｜Assistant｜>",
    ),
    "gpt-oss": Family(
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        "{% if m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>"
        "{% endif %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
        "{% if loop.last %}<|return|>{% else %}<|end|>{% endif %}"
        "{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}",
        ("<|start|>", "<|channel|>", "<|message|>", "<|end|>"), "<|return|>",
        "<|start|>assistant", "<|start|>assistant<|channel|>final<|message|>",
        "<|start|>assistant<|channel|>analysis<|message|>",
    ),
    "gemma": Family(
        "{{ bos_token }}{% if messages[0].role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        ("<start_of_turn>",), "<end_of_turn>", "<start_of_turn>model\n", None,
    ),
    "mistral": Family(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}"
        "[/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
        ("[INST]", "[/INST]"), "</s>", "", " ",
    ),
    "llama 3": Family(
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        "{{ m.content | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
        "{% endif %}",
        ("<|start_header_id|>", "<|end_header_id|>"), "<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n", None,
    ),
    "phi": Family(
        "{% for m in messages %}{{ '<|' + m.role + '|>' }}\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
        ("<|user|>", "<|assistant|>", "<|end|>"), "<|endoftext|>", "<|assistant|>\n", None,
    ),
    "granite": Family(
        "{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}"
        "<|end_of_text|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}",
        ("<|start_of_role|>", "<|end_of_role|>"), "<|end_of_text|>",
        "<|start_of_role|>assistant<|end_of_role|>", None,
    ),
    "glm 4.5": Family(
        "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n{% if m.role == 'assistant' %}"
        "<think>{{ m.reasoning_content or '' }}</think>\n{% endif %}{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        ("[gMASK]", "<sop>", "<|user|>", "<|assistant|>"), "<|endoftext|>",
        "<|assistant|>", "<|assistant|>\n<think></think>\n", "<|assistant|>\n<think>",
    ),
}  # fmt: skip


@cache
def loaded(family: Family, *, eos: str = "") -> Any:
    tokenizer = made.with_added(made.byte_level(extra=[*family.special, family.eos]), "<think>")
    return loaded_with(
        made.wrapped(tokenizer, eos=eos or family.eos, chat_template=family.template)
    )


def literal(model: Any, ids: Any) -> str:
    return b"".join(map(model.vocabulary.bytes_of, ids)).decode()
