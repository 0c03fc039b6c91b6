"""The pieces that every jgpt tokenizer has at fixed ids."""

UNKNOWN, BEGIN, END, PADDING = "<unk>", "<s>", "</s>", "<pad>"
UNKNOWN_ID, BEGIN_ID, END_ID, PADDING_ID = 0, 1, 2, 3

# ids 4 to 19: control pieces, never made from text; the first three mark the turns of a conversation
RESERVED = ("<|system|>", "<|user|>", "<|assistant|>", *(f"<|reserved_{number}|>" for number in range(3, 16)))
# id 20, a user-defined symbol: SentencePiece reads its training text line by line and would never see one
NEWLINE = "\n"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # ids 21 to 276

# what every vocabulary spends before the first character of the corpus, in the order of the ids
FIXED_PIECES = (UNKNOWN, BEGIN, END, PADDING, *RESERVED, NEWLINE, *BYTES)
FIXED = len(FIXED_PIECES)

SPACE = "\u2581"  # ▁, how SentencePiece writes a space within pieces
