/**
 * The configured encryption keys are not those of the database. The message has a line for each, with the next step.
 */
export class WrongKeys extends Error {
  constructor(faults: readonly string[]) {
    super(faults.map((fault) => `configuration: ${fault}`).join('\n'));
    this.name = 'WrongKeys';
  }
}
