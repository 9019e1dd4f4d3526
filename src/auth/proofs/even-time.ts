/** Well above the usual duration of a sign-in. */
const STEP_MS = 100;

/**
 * Does work whose duration could tell whether an account exists: it settles at a multiple of 100 ms after its start.
 * @param hides `result` for every end of the work; `failure` if a success may be faster
 */
export async function inEvenTime<T>(hides: 'result' | 'failure', work: () => Promise<T>): Promise<T> {
  let onStep = (): void => undefined;
  // Started before the work, so that the moment of a step does not depend on it.
  const steps = setInterval(() => onStep(), STEP_MS);
  const nextStep = () => new Promise<void>((resolve) => (onStep = resolve));
  try {
    const result = await work();
    if (hides === 'result') await nextStep();
    return result;
  } catch (error) {
    await nextStep();
    throw error;
  } finally {
    clearInterval(steps);
  }
}
