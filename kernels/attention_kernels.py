"""The Triton kernels of cross-frame attention.

A map is [B, positions, PARTS * channels]: its sum over PARTS maps of DTYPE, which lie side by side.
In a comment on an argument it is a tensor descriptor if TMA, else a pointer. D and C are the
channels of the query and of the value, filled up to powers of two; BLOCK_D and BLOCK_C are how many
of them are multiplied, or summed up in registers, at a time.

Weights are 2^(power * logit - log-sum-exp), all of it in base 2. Nothing is added to memory, so
that results are the same in every run: where a loop is split, each program stores its own sum.
Programs store rows of channels, in ACC: on the way to [B, channels, positions] sums would need many
more registers.
"""

import triton
import triton.language as tl

# Run-time numbers: a kernel serves every size.
SIZES = (
    "batch",
    "value_channels",
    "queries",
    "keys",
    "splits",
    "split_keys",
    "split_queries",
)


@triton.jit
def _tile(
    source,  # map [B, positions, ROW]
    i_batch,
    first_position,
    first_channel,
    positions,
    ROW: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    TMA: tl.constexpr,
):
    """[BLOCK_P, BLOCK_C] of a map, zeros past the last position."""
    if TMA:
        b_tile = source.load([i_batch, first_position, first_channel]).reshape(BLOCK_P, BLOCK_C)
    else:
        o_position = first_position + tl.arange(0, BLOCK_P)
        o_row = (i_batch.to(tl.int64) * positions + o_position) * ROW
        o_channel = first_channel + tl.arange(0, BLOCK_C)
        m_tile = (o_position < positions)[:, None]
        b_tile = tl.load(source + o_row[:, None] + o_channel[None, :], mask=m_tile, other=0.0)
    return b_tile


@triton.jit
def _parts(
    source,  # map [B, positions, PARTS * CHANNELS]
    i_batch,
    first_position,
    first_channel,
    positions,
    CHANNELS: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
):
    """The PARTS tiles [BLOCK_P, BLOCK_C] whose sum is a tile of the map, the largest first."""
    ROW: tl.constexpr = PARTS * CHANNELS
    b_first = _tile(
        source, i_batch, first_position, first_channel, positions, ROW, BLOCK_P, BLOCK_C, TMA
    )
    if PARTS == 1:
        b_parts = (b_first,)
    else:
        first_channel += CHANNELS
        b_second = _tile(
            source, i_batch, first_position, first_channel, positions, ROW, BLOCK_P, BLOCK_C, TMA
        )
        if PARTS == 2:
            b_parts = (b_first, b_second)  # type: ignore[assignment]
        else:
            first_channel += CHANNELS
            b_third = _tile(
                source,
                i_batch,
                first_position,
                first_channel,
                positions,
                ROW,
                BLOCK_P,
                BLOCK_C,
                TMA,
            )
            b_parts = (b_first, b_second, b_third)  # type: ignore[assignment]
    return b_parts


@triton.jit
def _split(b_block, DTYPE: tl.constexpr, PARTS: tl.constexpr):
    """A block as PARTS blocks of DTYPE whose sum it is, the largest first."""
    b_first = b_block.to(DTYPE)
    if PARTS == 1:
        b_parts = (b_first,)
    else:
        b_rest = b_block - b_first.to(tl.float32)
        b_second = b_rest.to(DTYPE)
        if PARTS == 2:
            b_parts = (b_first, b_second)  # type: ignore[assignment]
        else:
            b_third = (b_rest - b_second.to(tl.float32)).to(DTYPE)
            b_parts = (b_first, b_second, b_third)  # type: ignore[assignment]
    return b_parts


@triton.jit
def _transposed(b_parts, PARTS: tl.constexpr):
    if PARTS == 1:
        b_transposed = (tl.trans(b_parts[0]),)
    elif PARTS == 2:
        b_transposed = (tl.trans(b_parts[0]), tl.trans(b_parts[1]))  # type: ignore[assignment]
    else:
        b_transposed = (  # type: ignore[assignment]
            tl.trans(b_parts[0]),
            tl.trans(b_parts[1]),
            tl.trans(b_parts[2]),
        )
    return b_transposed


@triton.jit
def _multiply(b_left, b_right, b_sum, PARTS: tl.constexpr):
    """``b_sum`` plus the product of two matrices given as parts, small products first.

    What is left out is below the last bit of the parts' sum.
    """
    ACC: tl.constexpr = b_sum.dtype
    if PARTS == 3:
        b_sum = tl.dot(b_left[2], b_right[0], b_sum, out_dtype=ACC)
        b_sum = tl.dot(b_left[1], b_right[1], b_sum, out_dtype=ACC)
        b_sum = tl.dot(b_left[0], b_right[2], b_sum, out_dtype=ACC)
    if PARTS >= 2:
        b_sum = tl.dot(b_left[1], b_right[0], b_sum, out_dtype=ACC)
        b_sum = tl.dot(b_left[0], b_right[1], b_sum, out_dtype=ACC)
    return tl.dot(b_left[0], b_right[0], b_sum, input_precision="ieee", out_dtype=ACC)


@triton.jit
def _add_product(b_left, b_right, b_sum, PARTS: tl.constexpr):
    """``b_sum`` plus a product, where the sum grows over a whole loop.

    Tensor cores cut off where float32 rounds: a long sum of parts is added up outside of them.
    """
    if PARTS == 1:
        b_sum = _multiply(b_left, b_right, b_sum, PARTS)
    else:
        b_sum += _multiply(b_left, b_right, tl.zeros_like(b_sum), PARTS)
    return b_sum


@triton.jit
def _products(
    b_rows,  # parts [BLOCK_R, CHANNELS]; used if BLOCK_C == CHANNELS
    b_columns,  # parts [BLOCK_S, CHANNELS]; used if BLOCK_C == CHANNELS
    rows,  # map [B, row_count, PARTS * CHANNELS]
    columns,  # map [B, column_count, PARTS * CHANNELS]
    i_batch,
    first_row,
    first_column,
    row_count,
    column_count,
    CHANNELS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_S: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
    ACC: tl.constexpr,
):
    """[BLOCK_R, BLOCK_S] of row·column, summed over all channels."""
    b_sum = tl.zeros([BLOCK_R, BLOCK_S], dtype=ACC)
    if BLOCK_C == CHANNELS:
        b_sum = _multiply(b_rows, _transposed(b_columns, PARTS), b_sum, PARTS)
    else:
        for channel in range(0, CHANNELS, BLOCK_C):
            b_left = _parts(
                rows, i_batch, first_row, channel, row_count, CHANNELS, BLOCK_R, BLOCK_C, PARTS, TMA
            )
            b_right = _parts(
                columns,
                i_batch,
                first_column,
                channel,
                column_count,
                CHANNELS,
                BLOCK_S,
                BLOCK_C,
                PARTS,
                TMA,
            )
            b_sum = _add_product(b_left, _transposed(b_right, PARTS), b_sum, PARTS)
    return b_sum


@triton.jit
def _logits(
    b_query,  # parts [BLOCK_M, D]; used if BLOCK_D == D
    query,  # map [B, queries, PARTS * D]
    key,  # map [B, keys, PARTS * D]
    i_batch,
    first_query,
    first_key,
    queries,
    keys,
    D: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
    ACC: tl.constexpr,
):
    """[BLOCK_M, BLOCK_N] of query·key."""
    b_key = None
    if BLOCK_D == D:
        b_key = _parts(key, i_batch, first_key, 0, keys, D, BLOCK_N, D, PARTS, TMA)
    return _products(
        b_query,
        b_key,
        query,
        key,
        i_batch,
        first_query,
        first_key,
        queries,
        keys,
        D,
        BLOCK_D,
        BLOCK_M,
        BLOCK_N,
        PARTS,
        TMA,
        ACC,
    )


@triton.jit
def _store(
    p_map,  # [images, positions, CHANNELS], contiguous
    b_tile,  # [BLOCK_P, BLOCK_C]
    i_image,
    first_position,
    first_channel,
    positions,
    CHANNELS: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    o_position = first_position + tl.arange(0, BLOCK_P)
    o_channel = first_channel + tl.arange(0, BLOCK_C)
    o_row = (i_image.to(tl.int64) * positions + o_position) * CHANNELS
    p_tile = p_map + o_row[:, None] + o_channel[None, :]
    tl.store(p_tile, b_tile, mask=(o_position < positions)[:, None])


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    query,  # map [B, queries, PARTS * D]
    key,  # map [B, keys, PARTS * D]
    value,  # map [B, keys, PARTS * C]
    p_partial,  # [splits, B, queries, C], contiguous
    p_partial_lse,  # [splits, B, queries], contiguous
    batch,
    queries,
    keys,
    split_keys,  # a multiple of BLOCK_N
    power,
    D: tl.constexpr,
    C: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    DTYPE: tl.constexpr,
    ACC: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
    TAIL: tl.constexpr,
    AHEAD: tl.constexpr,
):
    """Output and log-sum-exp over ``split_keys`` keys, of BLOCK_M queries and BLOCK_C channels.

    TAIL: keys are masked in a loop of their own, over what whole blocks leave. AHEAD, with TAIL:
    the logits of a block are multiplied while the softmax of the block before is computed.
    """
    first_query = tl.program_id(0) * BLOCK_M
    first_channel = tl.program_id(1) * BLOCK_C
    i_batch = tl.program_id(2) % batch
    first_key = (tl.program_id(2) // batch) * split_keys
    last_key = tl.minimum(first_key + split_keys, keys)
    whole = last_key - (last_key - first_key) % BLOCK_N if TAIL else first_key
    b_query = None
    if BLOCK_D == D:
        b_query = _parts(query, i_batch, first_query, 0, queries, D, BLOCK_M, D, PARTS, TMA)
    b_maximum = tl.full([BLOCK_M], float("-inf"), dtype=ACC)
    b_sum = tl.zeros([BLOCK_M], dtype=ACC)
    b_output = tl.zeros([BLOCK_M, BLOCK_C], dtype=ACC)
    if AHEAD:
        b_logit = _logits(
            b_query,
            query,
            key,
            i_batch,
            first_query,
            first_key,
            queries,
            keys,
            D,
            BLOCK_D,
            BLOCK_M,
            BLOCK_N,
            PARTS,
            TMA,
            ACC,
        )
    for MASKED in tl.static_range(1 - TAIL, 2):
        begin = whole if MASKED else first_key
        end = last_key if MASKED else whole
        for i_key in tl.range(begin, end, BLOCK_N, num_stages=1 if MASKED and TAIL else None):
            if not (AHEAD and MASKED):
                b_next = _logits(
                    b_query,
                    query,
                    key,
                    i_batch,
                    first_query,
                    i_key + BLOCK_N if AHEAD else i_key,
                    queries,
                    keys,
                    D,
                    BLOCK_D,
                    BLOCK_M,
                    BLOCK_N,
                    PARTS,
                    TMA,
                    ACC,
                )
            if not AHEAD:
                b_logit = b_next
            if MASKED:
                m_key = i_key + tl.arange(0, BLOCK_N) < last_key
                b_logit = tl.where(m_key[None, :], b_logit, float("-inf"))
            b_largest = tl.maximum(b_maximum, tl.max(b_logit, 1) * power)
            b_factor = tl.exp2(b_maximum - b_largest)
            b_weight = tl.exp2(b_logit * power - b_largest[:, None])
            b_sum = b_sum * b_factor + tl.sum(b_weight, 1)
            b_value = _parts(
                value, i_batch, i_key, first_channel, keys, C, BLOCK_N, BLOCK_C, PARTS, TMA
            )
            b_weight = _split(b_weight, DTYPE, PARTS)
            b_output = _add_product(b_weight, b_value, b_output * b_factor[:, None], PARTS)
            b_maximum = b_largest
            if AHEAD and not MASKED:
                b_logit = b_next
    i_image = tl.program_id(2)
    b_output /= b_sum[:, None]
    _store(p_partial, b_output, i_image, first_query, first_channel, queries, C, BLOCK_M, BLOCK_C)
    if first_channel == 0:
        o_query = first_query + tl.arange(0, BLOCK_M)
        p_partial_lse += i_image.to(tl.int64) * queries
        b_lse = b_maximum + tl.log2(b_sum)
        tl.store(p_partial_lse + o_query, b_lse, mask=o_query < queries)


@triton.jit(do_not_specialize=SIZES)
def combine_kernel(
    p_partial,  # [splits, B, queries, C], contiguous
    p_partial_lse,  # [splits, B, queries], contiguous
    p_output,  # [B, value_channels, queries], contiguous
    p_lse,  # [B, queries], contiguous
    splits,
    batch,
    value_channels,
    queries,
    C: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Output and log-sum-exp over all keys from those over each part of them."""
    first_channel = tl.program_id(1) * BLOCK_C
    i_batch = tl.program_id(2).to(tl.int64)
    o_query = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    m_query = o_query < queries
    o_channel = first_channel + tl.arange(0, BLOCK_C)
    o_lse = i_batch * queries + o_query
    split_stride = queries.to(tl.int64) * batch
    b_maximum = tl.full([BLOCK_M], float("-inf"), dtype=p_lse.dtype.element_ty)
    for i_split in range(splits):
        p_split = p_partial_lse + i_split * split_stride
        b_maximum = tl.maximum(b_maximum, tl.load(p_split + o_lse, mask=m_query, other=0.0))
    b_sum = tl.zeros_like(b_maximum)
    b_output = tl.zeros([BLOCK_M, BLOCK_C], dtype=p_partial.dtype.element_ty)
    for i_split in range(splits):
        o_split = i_split * split_stride + o_lse
        b_lse = tl.load(p_partial_lse + o_split, mask=m_query, other=0.0)
        b_weight = tl.exp2(b_lse - b_maximum)
        b_sum += b_weight
        p_tile = p_partial + o_split[:, None] * C + o_channel[None, :]
        b_output += b_weight[:, None] * tl.load(p_tile, mask=m_query[:, None], other=0.0)
    b_output = (b_output / b_sum[:, None]).to(p_output.dtype.element_ty)
    o_output = (i_batch * value_channels + o_channel)[None, :] * queries + o_query[:, None]
    m_output = (o_channel < value_channels)[None, :] & m_query[:, None]
    tl.store(p_output + o_output, b_output, mask=m_output)
    if first_channel == 0:
        tl.store(p_lse + o_lse, b_maximum + tl.log2(b_sum), mask=m_query)


@triton.jit(do_not_specialize=SIZES)
def delta_kernel(
    p_grad_output,  # [B, queries, PARTS * C]
    p_output,  # [B, value_channels, queries], contiguous
    p_delta,  # [B, queries], contiguous
    value_channels,
    queries,
    C: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    ACC: tl.constexpr,
    PARTS: tl.constexpr,
):
    """Output times its gradient, summed over channels, of BLOCK_M queries."""
    first_query = tl.program_id(0) * BLOCK_M
    i_batch = tl.program_id(1)
    o_query = first_query + tl.arange(0, BLOCK_M)
    m_query = o_query < queries
    p_output += i_batch.to(tl.int64) * value_channels * queries
    b_sum = tl.zeros([BLOCK_M], dtype=ACC)
    for channel in range(0, C, BLOCK_C):
        b_parts = _parts(
            p_grad_output,
            i_batch,
            first_query,
            channel,
            queries,
            C,
            BLOCK_M,
            BLOCK_C,
            PARTS,
            False,
        )
        b_grad = b_parts[0].to(ACC)
        for i_part in tl.static_range(1, PARTS):
            b_grad += b_parts[i_part].to(ACC)
        o_channel = channel + tl.arange(0, BLOCK_C)
        p_tile = p_output + o_channel.to(tl.int64)[None, :] * queries + o_query[:, None]
        m_tile = m_query[:, None] & (o_channel < value_channels)[None, :]
        b_sum += tl.sum(b_grad * tl.load(p_tile, mask=m_tile, other=0.0).to(ACC), 1)
    p_delta += i_batch.to(tl.int64) * queries
    tl.store(p_delta + o_query, b_sum, mask=m_query)


@triton.jit(do_not_specialize=SIZES)
def grad_query_kernel(
    query,  # map [B, queries, PARTS * D]
    key,  # map [B, keys, PARTS * D]
    value,  # map [B, keys, PARTS * C]
    grad_output,  # map [B, queries, PARTS * C]
    p_lse,  # [B, queries], contiguous
    p_delta,  # [B, queries], contiguous
    p_partial,  # gradient of the query [splits, B, queries, D], contiguous
    batch,
    queries,
    keys,
    split_keys,  # a multiple of BLOCK_N
    power,
    factor,
    D: tl.constexpr,
    C: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    DTYPE: tl.constexpr,
    ACC: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
    TAIL: tl.constexpr,
):
    """Gradient of BLOCK_M queries, BLOCK_D of their channels, over ``split_keys`` keys.

    TAIL: keys are masked in a loop of their own, over what whole blocks leave.
    """
    first_query = tl.program_id(0) * BLOCK_M
    first_channel = tl.program_id(1) * BLOCK_D
    i_batch = tl.program_id(2) % batch
    first_key = (tl.program_id(2) // batch) * split_keys
    last_key = tl.minimum(first_key + split_keys, keys)
    whole = last_key - (last_key - first_key) % BLOCK_N if TAIL else first_key
    b_query = None
    if BLOCK_D == D:
        b_query = _parts(query, i_batch, first_query, 0, queries, D, BLOCK_M, D, PARTS, TMA)
    b_grad = None
    if BLOCK_C == C:
        b_grad = _parts(grad_output, i_batch, first_query, 0, queries, C, BLOCK_M, C, PARTS, TMA)
    o_query = first_query + tl.arange(0, BLOCK_M)
    o_lse = i_batch.to(tl.int64) * queries + o_query
    b_lse = tl.load(p_lse + o_lse, mask=o_query < queries, other=0.0)
    b_delta = tl.load(p_delta + o_lse, mask=o_query < queries, other=0.0)
    b_grad_query = tl.zeros([BLOCK_M, BLOCK_D], dtype=ACC)
    for MASKED in tl.static_range(1 - TAIL, 2):
        begin = whole if MASKED else first_key
        end = last_key if MASKED else whole
        for i_key in tl.range(begin, end, BLOCK_N, num_stages=1 if MASKED and TAIL else None):
            b_key = _parts(
                key, i_batch, i_key, first_channel, keys, D, BLOCK_N, BLOCK_D, PARTS, TMA
            )
            b_logit = _products(
                b_query,
                b_key,
                query,
                key,
                i_batch,
                first_query,
                i_key,
                queries,
                keys,
                D,
                BLOCK_D,
                BLOCK_M,
                BLOCK_N,
                PARTS,
                TMA,
                ACC,
            )
            if MASKED:
                m_key = i_key + tl.arange(0, BLOCK_N) < last_key
                b_logit = tl.where(m_key[None, :], b_logit, float("-inf"))
            b_weight = tl.exp2(b_logit * power - b_lse[:, None])
            b_value = None
            if BLOCK_C == C:
                b_value = _parts(value, i_batch, i_key, 0, keys, C, BLOCK_N, C, PARTS, TMA)
            b_slope = _products(
                b_grad,
                b_value,
                grad_output,
                value,
                i_batch,
                first_query,
                i_key,
                queries,
                keys,
                C,
                BLOCK_C,
                BLOCK_M,
                BLOCK_N,
                PARTS,
                TMA,
                ACC,
            )
            b_slope = _split(b_weight * (b_slope - b_delta[:, None]), DTYPE, PARTS)
            b_grad_query = _add_product(b_slope, b_key, b_grad_query, PARTS)
    b_grad_query *= factor
    i_image = tl.program_id(2)
    _store(
        p_partial, b_grad_query, i_image, first_query, first_channel, queries, D, BLOCK_M, BLOCK_D
    )


@triton.jit(do_not_specialize=SIZES)
def grad_reference_kernel(
    query,  # map [B, queries, PARTS * D]
    key,  # map [B, keys, PARTS * D]
    value,  # map [B, keys, PARTS * C]
    grad_output,  # map [B, queries, PARTS * C]
    p_lse,  # [B, queries], contiguous
    p_delta,  # [B, queries], contiguous
    p_partial,  # gradient of the key [splits, B, keys, D] or of the value, contiguous
    batch,
    queries,
    keys,
    split_queries,  # a multiple of BLOCK_M
    power,
    factor,
    OF_VALUE: tl.constexpr,
    D: tl.constexpr,
    C: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    DTYPE: tl.constexpr,
    ACC: tl.constexpr,
    PARTS: tl.constexpr,
    TMA: tl.constexpr,
):
    """Gradient of BLOCK_N values, BLOCK_C of their channels, or of keys, BLOCK_D of theirs, over
    ``split_queries`` queries.

    No mask is needed: a query past the last is zero and has an infinite log-sum-exp, its weights
    are 0; a key past the last is not stored. One kernel for both gradients would compute logits
    once, but its 64 keys give tensor cores work for four warps, so that eight do it twice.
    """
    BLOCK: tl.constexpr = BLOCK_C if OF_VALUE else BLOCK_D
    first_key = tl.program_id(0) * BLOCK_N
    first_channel = tl.program_id(1) * BLOCK
    i_batch = tl.program_id(2) % batch
    begin = (tl.program_id(2) // batch) * split_queries
    end = tl.minimum(begin + split_queries, queries)
    b_key = None
    if BLOCK_D == D:
        b_key = _parts(key, i_batch, first_key, 0, keys, D, BLOCK_N, D, PARTS, TMA)
    b_value = None
    if BLOCK_C == C and not OF_VALUE:
        b_value = _parts(value, i_batch, first_key, 0, keys, C, BLOCK_N, C, PARTS, TMA)
    p_lse += i_batch.to(tl.int64) * queries
    p_delta += i_batch.to(tl.int64) * queries
    b_sum = tl.zeros([BLOCK_N, BLOCK], dtype=ACC)
    for i_query in range(begin, end, BLOCK_M):
        o_query = i_query + tl.arange(0, BLOCK_M)
        b_query = None
        if BLOCK_D == D or not OF_VALUE:
            i_channel = 0 if OF_VALUE else first_channel
            b_query = _parts(
                query, i_batch, i_query, i_channel, queries, D, BLOCK_M, BLOCK_D, PARTS, TMA
            )
        b_logit = _products(
            b_key,
            b_query,
            key,
            query,
            i_batch,
            first_key,
            i_query,
            keys,
            queries,
            D,
            BLOCK_D,
            BLOCK_N,
            BLOCK_M,
            PARTS,
            TMA,
            ACC,
        )
        b_lse = tl.load(p_lse + o_query, mask=o_query < queries, other=float("inf"))
        b_weight = tl.exp2(b_logit * power - b_lse[None, :])
        b_grad = None
        if BLOCK_C == C or OF_VALUE:
            i_channel = first_channel if OF_VALUE else 0
            b_grad = _parts(
                grad_output, i_batch, i_query, i_channel, queries, C, BLOCK_M, BLOCK_C, PARTS, TMA
            )
        if OF_VALUE:
            b_sum = _add_product(_split(b_weight, DTYPE, PARTS), b_grad, b_sum, PARTS)
        else:
            b_slope = _products(
                b_value,
                b_grad,
                value,
                grad_output,
                i_batch,
                first_key,
                i_query,
                keys,
                queries,
                C,
                BLOCK_C,
                BLOCK_N,
                BLOCK_M,
                PARTS,
                TMA,
                ACC,
            )
            b_delta = tl.load(p_delta + o_query, mask=o_query < queries, other=0.0)
            b_slope = _split(b_weight * (b_slope - b_delta[None, :]), DTYPE, PARTS)
            b_sum = _add_product(b_slope, b_query, b_sum, PARTS)
    CHANNELS: tl.constexpr = C if OF_VALUE else D
    b_sum *= factor
    i_image = tl.program_id(2)
    _store(p_partial, b_sum, i_image, first_key, first_channel, keys, CHANNELS, BLOCK_N, BLOCK)
