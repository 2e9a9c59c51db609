import assert from "node:assert/strict";
import { test } from "node:test";
import {
  changeOf,
  formatCents,
  formatMinorUnits,
  formatMoney,
  formatSigned,
  shareOf,
  sumCents,
  toCents,
  toDecimal,
} from "../lib/money";

test("amounts are read to the cent", () => {
  assert.equal(toCents("1234.50"), 123450n);
  assert.equal(toCents("0.00"), 0n);
  assert.equal(toCents("-5.07"), -507n);
  assert.equal(toCents("-0.01"), -1n);
  assert.equal(toCents("7"), 700n);
  assert.equal(toCents("7.5"), 750n);
});

test("what is no amount is refused, not guessed", () => {
  for (const text of ["", "1,234.50", "$5", "1.234", "NaN", "1e3", " 5", "--5", "5."]) {
    assert.throws(() => toCents(text), RangeError, text);
  }
});

test("reading and writing an amount gives it back", () => {
  for (const text of ["0.00", "0.01", "-0.01", "-5.00", "99999999999999.99", "123456.07"]) {
    assert.equal(toDecimal(toCents(text)), text);
  }
});

test("sums are exact where floating point is not", () => {
  assert.equal(sumCents(["0.10", "0.20"]), 30n);
  assert.equal(toDecimal(sumCents(Array.from({ length: 10_000 }, () => "0.01"))), "100.00");
  assert.equal(toDecimal(sumCents(["90071992547409.91", "0.02"])), "90071992547409.93");
});

test("amounts are written for people", () => {
  assert.equal(formatMoney("1234567.05"), "$1,234,567.05");
  assert.equal(formatMoney("-5.00"), "−$5.00");
  assert.equal(formatCents(-1n), "−$0.01");
  assert.equal(formatMoney("99999999999999.99"), "$99,999,999,999,999.99");
  assert.equal(formatSigned(500n), "+$5.00");
});

test("other currencies keep the decimals that they have", () => {
  assert.equal(formatMinorUnits(1250, "EUR"), "€12.50");
  assert.equal(formatMinorUnits(1250, "JPY"), "¥1,250");
  assert.equal(formatMinorUnits(7, "no such"), "7 no such (minor units)");
});

test("a change is told in percent where that means something", () => {
  assert.deepEqual(changeOf(11250n, 10000n), { direction: "up", text: "+12.5 %" });
  assert.deepEqual(changeOf(5000n, 10000n), { direction: "down", text: "−50.0 %" });
  assert.deepEqual(changeOf(10000n, 10000n), { direction: "same", text: "0 %" });
  assert.deepEqual(changeOf(300000n, 10000n), { direction: "up", text: "+2,900 %" });
});

test("a change from nothing or from a loss is told in dollars", () => {
  assert.deepEqual(changeOf(500n, 0n), { direction: "up", text: "+$5.00" });
  assert.deepEqual(changeOf(500n, -100n), { direction: "up", text: "+$6.00" });
  assert.equal(changeOf(0n, 0n), null);
});

test("a share lies between nothing and the whole", () => {
  assert.equal(shareOf(333n, 1000n), 33.3);
  assert.equal(shareOf(-5n, 1000n), 0);
  assert.equal(shareOf(5n, 0n), 0);
});
