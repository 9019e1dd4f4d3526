/**
 * What `work` gives, if it does in time; nobody waits for it afterwards, and how it fails then is nobody's concern.
 * @param milliseconds how long it is waited for
 * @param late what is thrown when that is over
 */
export async function withDeadline<T>(work: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
