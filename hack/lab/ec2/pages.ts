/** What every Describe call has in common. */
import { applyFilters, type FilterTable, filters, type Parameters, paginate } from './parameters.ts';
import type { XMLMembers, XMLValue } from './xml.ts';

/** Items named by id, each of which must exist, or all of them. One unknown id fails the whole call. */
export const select = <T>(
  all: readonly T[],
  ids: readonly string[],
  find: (id: string) => T,
): readonly T[] => (ids.length === 0 ? all : [...new Set(ids)].map(find));

/** Every Describe call: ids, then filters, then a page. */
export const page = <T>(
  parameters: Parameters,
  idParameter: string,
  chosen: readonly T[],
  table: FilterTable<T>,
  member: string,
  show: (item: T) => XMLValue,
): XMLMembers => {
  const found = applyFilters(chosen, filters(parameters), table);
  const { items, nextToken } = paginate(found, parameters, idParameter);
  return { [member]: items.map(show), nextToken };
};
