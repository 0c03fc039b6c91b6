"""Where documents lie in a window of tokens."""

from torch import Tensor


def document_mask(ids: Tensor, bos_id: int) -> Tensor:
    """Which keys each query may see when attention stays within documents: bool [B, 1, T, T] for ids [B, T].

    True where the key does not come after the query and belongs to the same document. A document begins with ``bos_id``;
    what stands before the first one is the rest of another document.
    """
    document = (ids == bos_id).cumsum(dim=1)  # [B, T]: number of the document in the window
    same = document[:, :, None] == document[:, None, :]  # [B, T, T]: query, key
    return same.tril().unsqueeze(1)
