"""What the pages of rights say of grounds of refusal, in the reader's language."""

from hie.portal.language import Language
from hie.rights.grounds import Ground, load_grounds


def ground_text(code: str, language: Language) -> str:
    """Return a ground with the article that it stands in; the code itself where it is not known."""
    found = load_grounds().get(code)
    return code if found is None else text_of(found, language)


def text_of(ground: Ground, language: Language) -> str:
    """Return the words of `ground` with its article."""
    if language is Language.ZH:
        return f"{ground.zh}（{ground.source}）"
    return f"{ground.en} ({ground.source})"
