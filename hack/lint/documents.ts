/** What documents name: paths of the tree, make targets, words in camel case. Texts are handed in. */

/** The folders that a document may name by their paths. */
const FOLDERS = 'agent|charts|crds|delivery|docs|ec2|hack|kube|operator|runtime|sim|test';

/** In code marks, without arguments that follow; one with `NAME` stands for many and is left out. */
export const pathsIn = (text: string): string[] =>
  [...text.matchAll(new RegExp(`\`((?:${FOLDERS})/[\\w./*-]*)[^\`]*\``, 'g'))]
    .map(([, path = '']) => path.replace(/\/$/, ''))
    .filter((path) => !path.includes('/NAME.'));

/** In code marks, or as a command in a fenced block. */
export const targetsIn = (text: string): string[] => {
  const fenced = [...text.matchAll(/^```\w*\n(.*?)^```/gms)].map(([, block = '']) => block).join('\n');
  return [...text.matchAll(/`make ([a-z-]+)/g), ...fenced.matchAll(/^make ([a-z-]+)/gm)].map(
    ([, target = '']) => target,
  );
};

/** Words in code marks that have a capital within: reasons, conditions, kinds. */
export const namesIn = (text: string): string[] =>
  [...text.matchAll(/`([A-Z]+[a-z0-9]+[A-Z]\w*)`/g)].map(([, word = '']) => word);
