// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source code
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { stripComments } from './strip-comments.ts';

describe('what stays', () => {
  test.each([
    ['code', 'const a = b / c / d;'],
    ['strings', `const a = '// no', b = "/* no */", c = 'it\\'s // no';`],
    ['a template', 'const a = `// ${b} /* no */`;'],
    ['code in a template', 'const a = `${b ? `// ${c}` : { d: "}" }.d} // no`;'],
    ['an escaped backtick', 'const a = `\\`// no`;'],
    ['a dollar that opens nothing', 'const a = `$ // no $`;'],
    ['a regular expression', "const a = /'/.test(b) ? /[/'`]/ : /\\/\\*/;"],
    ['one in a call', 'a.replace(/\\/\\/.*$/gm, `"`)'],
    ['one that is returned', "return /^'/;"],
    ['divisions', "const a = (b + c) / 2; const d = e[0] / '2';"],
  ])('%s', (_, source) => expect(stripComments(source)).toBe(source));
});

describe('what goes', () => {
  test.each([
    ['to the end of the line', 'a; // b\nc;', 'a;     \nc;'],
    ['at the end', 'a; // b', 'a;     '],
    ['a block', 'a /* b */ + c', 'a         + c'],
    ['a block of lines', '/**\n * b\n */\na', '   \n    \n   \na'],
    ['one that is not closed', 'a /* b', 'a     '],
    ['one with a quote', "// it's\n'// a'", "       \n'// a'"],
    ['in the code of a template', '`${a /* b */}//`', '`${a        }//`'],
    ['after a template in a template', '`${`${a}`}`; // b', '`${`${a}`}`;     '],
    ['after a division', 'a / b; // c / d', 'a / b;         '],
  ])('%s', (_, source, expected) => expect(stripComments(source)).toBe(expected));
});

const PACKAGES = join(import.meta.dirname, '../..');
const SOURCES = readdirSync(PACKAGES, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /^\w+\/src\/.*\.ts$/.test(file) && !file.includes('node_modules'),
);

test('all of our sources are TypeScript still, with no comment left', () => {
  for (const file of SOURCES) {
    const source = readFileSync(join(PACKAGES, file), 'utf8');
    const stripped = stripComments(source);
    expect(stripped.split('\n').length).toBe(source.split('\n').length);
    expect(() => stripTypeScriptTypes(stripped)).not.toThrow();
    expect({ file, stripped: stripComments(stripped) }).toEqual({ file, stripped });
  }
});
