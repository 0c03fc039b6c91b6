"""The pieces that every jgpt tokenizer has at fixed ids."""

UNKNOWN, BEGIN, END, PADDING = "<unk>", "<s>", "</s>", "<pad>"
UNKNOWN_ID, BEGIN_ID, END_ID, PADDING_ID = 0, 1, 2, 3

# ids 4 to 19: control pieces, never made from text; the first three mark the turns of a conversation
RESERVED = ("<|system|>", "<|user|>", "<|assistant|>", *(f"<|reserved_{number}|>" for number in range(3, 16)))
NEWLINE = (
    "\n"  # id 20, a user-defined symbol: SentencePiece reads its training text line by line and would never see one
)
BYTE_PIECES = 256  # ids 21 to 276, <0x00> to <0xFF>

# ids that every vocabulary spends before the first character of the corpus
FIXED = 4 + len(RESERVED) + 1 + BYTE_PIECES

SPACE = "\u2581"  # ▁, how SentencePiece writes a space within pieces
