"""Words that no box is looked for: those of the paper, and those of ours."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GENERIC = _words(
    """
    alibaba aliexpress amazon available background blog buy co com description diy download facebook free gif hd ideas
    illustration illustrations image images img instagram jpg online org original page pdf photo photography photos
    picclick picture pictures png porn premium resolution royalty sale sex shutterstock stock svg thumbnail tumblr
    tumgir twitter uk uploaded vector vectors video videos wallpaper wallpapers wholesale www xxx youtube
    """
)
"""Words of the web, left out of a caption before anything else.  Source: CLOC (arXiv:2410.02746), appendix."""

STOP = _words(
    """
    i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his
    himself she she's her hers herself it it's its itself they them their theirs themselves what which who whom this
    that that'll these those am is are was were be been being have has had having do does did doing a an the and but if
    or because as until while of at by for with about against between into through during before after above below to
    from up down in out on off over under again further then once here there when where why how all any both each few
    more most other some such no nor not only own same so than too very s t can will just don don't should should've
    now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't haven
    haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn wasn't weren
    weren't won won't wouldn wouldn't
    """
)
"""A phrase of these alone is left out.  Source: NLTK's English stop words (nltk_data, corpora/stopwords/english)."""

UNBOXED = _words(
    """
    front back side sides left right top bottom middle center centre end ends edge foreground distance way ways
    group groups couple pair bunch lot lots number variety kind kinds type types sort sorts piece pieces set part parts
    others something anything everything nothing
    """
)
"""Places, quantities and what may be anything.  A phrase of these and stop words alone ("the left") is left out.

Not in the paper, whose grammar lets them pass: nothing has a box that is "the left", and a detector that gives each
box the likeliest of the phrases hands such ones to arbitrary boxes.  Of the phrases of COCO's captions they are 5 %.
"""
