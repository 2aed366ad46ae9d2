/** Answers of EC2's query protocol as XML. */

/** What an XML answer is made of: an array becomes `<item>`s, `undefined` is left out. */
export type XMLValue =
  | string
  | number
  | boolean
  | undefined
  | readonly XMLValue[]
  | { readonly [name: string]: XMLValue };

/** The members of an answer's root element. */
export type XMLMembers = { readonly [name: string]: XMLValue };

const NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/';

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text as XML may hold it. */
export const escapeXML = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

const render = (value: XMLValue): string => {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item: XMLValue) => `<item>${render(item)}</item>`).join('');
  if (typeof value === 'object') {
    return Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => `<${name}>${render(member)}</${name}>`)
      .join('');
  }
  return escapeXML(String(value));
};

/** A successful answer of EC2's query protocol. */
export const renderAnswer = (action: string, requestID: string, members: XMLMembers): string => {
  const body = render({ requestId: requestID, ...members });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="${NAMESPACE}">${body}</${action}Response>`;
};

/** An error of EC2's query protocol. */
export const renderError = (code: string, message: string, requestID: string): string => {
  const error = render({ Code: code, Message: message });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>${error}</Error></Errors><RequestID>${requestID}</RequestID></Response>`;
};
