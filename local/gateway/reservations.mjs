// Connections that the library reserves for a transaction and gives back. The driver takes one back
// as a good one even if it was lost meanwhile: a query on it would never be answered.

import { isConnectionLost } from "./sql_states.mjs";

// A function may raise these SQL states itself; then the connection is as good as before.
const wasLost = (error) => isConnectionLost(error) && error.severity_local !== "ERROR";

/** Gives back to the driver's pool only what still is connected; the pool knows of the others. */
export function keepLostOut(driver) {
  const reserve = driver.reserve;
  driver.reserve = async () => {
    const reserved = await reserve();
    const { unsafe, release } = reserved;
    let isLost = false;
    reserved.unsafe = (...query) => {
      const answer = unsafe(...query);
      answer.catch((error) => {
        isLost ||= wasLost(error);
      });
      return answer;
    };
    reserved.release = () => {
      if (!isLost) release();
    };
    return reserved;
  };
}
