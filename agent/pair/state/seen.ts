/**
 * A part of a pair's state as everybody sees it but the file that declares it: neither a field nor what lies in it can be
 * written. Inside, the hand that writes is a function of that file, which changes its part in place.
 */
export type Seen<Part> = { readonly [Field in keyof Part]: Readonly<Part[Field]> };
