/** Several objects as one manifest, each of `v1` unless it says otherwise. */
export const list = (items: readonly object[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: items.map((item) => ({ apiVersion: 'v1', ...item })),
  });
