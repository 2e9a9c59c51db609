// The clock of a server under test: it stands still until the test moves it on. Loaded before the
// server itself; reads milliseconds, one number a line, and says when each was taken.

import { createInterface } from "node:readline";

let now = Date.now();
Date.now = () => now;

createInterface({ input: process.stdin }).on("line", (line) => {
  now += Number(line);
  process.stdout.write("moved\n");
});
