/** Splits a byte stream into lines; UTF-8 is decoded per line, so a character may be cut anywhere between chunks. */

const NEWLINE = 0x0a;

export type LineSplitter = {
  /**
   * The lines that `chunk` completes, without their newline; empty ones are left out.
   * @throws RangeError when a line grows past the limit.
   */
  push(chunk: Uint8Array): string[];
};

/** @param maxBytes bound of one line, and so of what is buffered. */
export const createLineSplitter = (maxBytes: number): LineSplitter => {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;

  const keep = (piece: Uint8Array) => {
    pendingBytes += piece.length;
    if (pendingBytes > maxBytes) throw new RangeError(`a line is longer than ${maxBytes} bytes`);
    pending.push(piece);
  };

  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        keep(chunk.subarray(start, end));
        const line = Buffer.concat(pending).toString('utf8');
        if (line !== '') lines.push(line);
        pending = [];
        pendingBytes = 0;
        start = end + 1;
      }
      if (start < chunk.length) keep(chunk.subarray(start));
      return lines;
    },
  };
};
