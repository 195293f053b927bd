#!/usr/bin/env bash
# pyarrow 26.0.1: an Arrow stream that stops between two of its messages, as one does whose writer
# was killed or whose download ended early, is read as a whole one with fewer rows. Nothing is
# raised, since the format lets a stream end without its end mark; a stream that stops within a
# message raises ArrowInvalid. Whoever must not lose rows has to look for the mark (0xFFFFFFFF, then
# four zero bytes) at the end.
#
# Seen: "3 rows with the end mark, 3 without it, 2 without the last batch, no error"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import io

import pyarrow as pa

schema = pa.schema([("text", pa.string())])
stream, ends = io.BytesIO(), []
with pa.ipc.new_stream(stream, schema) as writer:
    for number in range(3):
        writer.write_batch(pa.record_batch([[f"row {number}"]], schema=schema))
        ends.append(stream.tell())
whole = stream.getvalue()
rows = [pa.ipc.open_stream(part).read_all().num_rows for part in (whole, whole[: ends[2]], whole[: ends[1]])]
print("{} rows with the end mark, {} without it, {} without the last batch, no error".format(*rows))
assert rows == [3, 3, 2], rows
PYTHON
