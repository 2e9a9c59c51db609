// Loaded before an Edge Function that a test starts: its limits are those of a machine a hundred
// times as fast as any, so that none of them is met because others keep the processor busy. Time
// passes a hundredth as fast in this process, and a call is given up a hundred times as late.

const TIMES = 100;

const now = Date.now.bind(Date);
const began = now();
const giveUp = AbortSignal.timeout.bind(AbortSignal);

Date.now = () => began + Math.floor((now() - began) / TIMES);
AbortSignal.timeout = (ms) => giveUp(ms * TIMES);
