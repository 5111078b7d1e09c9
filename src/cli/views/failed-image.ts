/** An image, or a place of a list, that came to nothing. */
export interface FailedImage {
  /** Empty for a place that names no image. */
  readonly name: string;
  readonly kind: string;
  readonly message: string;
  readonly hint: string | undefined;
}
