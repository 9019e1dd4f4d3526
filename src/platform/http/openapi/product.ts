/** Texts of the product in documents and pages of the platform; the API process hands them over. */
export interface Product {
  /** Title of the document and of every page. */
  title: string;
  /** `info.summary` of the document. */
  summary: string;
  /** First sentence of the guide. */
  introduction: string;
  /** First sentence of the page at `/`. */
  tagline: string;
  sample: Sample;
}

/** The resource that the document's general examples show; its feature declares it. */
export interface Sample {
  /** The name of its collection, which is its path below the prefix of the API. */
  collection: string;
  /** The permission to create one. */
  permission: string;
  /** The step of the guide that follows the sign-in, in Markdown. */
  step: string;
  /** A fault in a request that creates one. */
  fault: { field: string; message: string; code: string };
}

/** The id in examples. */
export const EXAMPLE_ID = '0198c0de-7a11-7000-8000-000000000001';
