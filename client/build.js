// Builds the client's files; with --check, proves instead that the committed ones are what the sources make.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const TARGET = fileURLToPath(new URL("../django_jugpush/static/django_jugpush/", import.meta.url));

/** Upper limits of the gzipped sizes, in bytes. */
const LIMITS = new Map([
  ["juggernaut.js", 8 * 1024],
  ["live.js", 8 * 1024],
]);

const BUNDLES = [
  { entryPoints: ["src/main.js"], outfile: join(TARGET, "juggernaut.js"), format: "iife" },
  { entryPoints: ["src/live.js"], outfile: join(TARGET, "live.js"), format: "esm" },
];

/** @returns {Promise<Map<string, string>>} the built files' contents by name */
export async function build() {
  const files = new Map();
  for (const bundle of BUNDLES) {
    const { outputFiles } = await esbuild.build({
      ...bundle,
      absWorkingDir: HERE,
      bundle: true,
      minify: true,
      sourcemap: "linked",
      target: "es2022",
      charset: "utf8",
      banner: { js: "/* django-jugpush, BSD-3-Clause. Built from client/. */" },
      write: false,
    });
    for (const { path, text } of outputFiles) files.set(basename(path), text);
  }
  files.set("juggernaut.d.ts", await declarations());
  return files;
}

/** One file of the declarations of what a page can use. */
async function declarations() {
  const folder = await mkdtemp(join(tmpdir(), "declarations-"));
  try {
    const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--stripInternal", "--rootDir", join(HERE, "src")];
    execFileSync(process.execPath, [tsc(), "-p", HERE, ...options, "--outDir", folder], { stdio: "inherit" });
    const parts = [join(HERE, "src/types.d.ts"), join(folder, "juggernaut.d.ts"), join(HERE, "src/globals.d.ts")];
    const texts = await Promise.all(parts.map((path) => readFile(path, "utf8")));
    return "// Built from client/.\n" + joined(texts) + globalNames();
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @param {string[]} texts */
function joined(texts) {
  return texts
    .join("\n")
    .replace(/^import .*\n/gm, "")
    .replace(/^\/\*\* @import .*\n/gm, "")
    .replace(/^\/\/ What the bundle.*\n/gm, "")
    .replaceAll("JuggernautClass", "Client")
    .replace(/\n{3,}/g, "\n\n");
}

/** Inside `declare global`, "Juggernaut" is the global itself: the class needs another name there. */
function globalNames() {
  return "\ndeclare const Client: typeof Juggernaut;\ntype Client = Juggernaut;\n";
}

function tsc() {
  return fileURLToPath(import.meta.resolve("typescript/package.json")).replace("package.json", "bin/tsc");
}

/** @param {Map<string, string>} files */
function oversized(files) {
  return [...LIMITS].flatMap(([name, limit]) => {
    const size = gzipSync(files.get(name), { level: 9 }).length;
    console.log(`${name}: ${size} bytes gzipped, of ${limit}`);
    return size > limit ? [`${name} is too big`] : [];
  });
}

/** @param {Map<string, string>} files */
async function outdated(files) {
  const faults = [];
  for (const [name, text] of files) {
    const committed = await readFile(join(TARGET, name), "utf8").catch(() => null);
    if (committed !== text) faults.push(`${name} is not what client/src makes: run "npm run build"`);
  }
  return faults;
}

async function main() {
  const files = await build();
  const faults = oversized(files);
  if (process.argv.includes("--check")) faults.push(...(await outdated(files)));
  else for (const [name, text] of files) await writeFile(join(TARGET, name), text);
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length ? 1 : 0;
}

await main();
