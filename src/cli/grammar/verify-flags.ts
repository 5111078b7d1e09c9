import { type Bool, bool, type Size, size, type Text, text } from './flag.ts';

export const JSON_REPORT: Bool<'json'> = bool({ name: 'json', describe: 'print one JSON document' });
export const SIGNATURES: Bool<'signatures'> = bool({
  name: 'signatures',
  describe:
    'judge the images in place of checking them: whether they would come in now, by the signatures in the store; no registry is asked',
});
export const READ_RATE: Size<'limit-rate'> = size({
  name: 'limit-rate',
  value: 'BYTES',
  describe: 'bytes a second read from the disk: 500k, 10M',
  notZero: 'nothing would ever be read',
});
export const RESUME: Text<'resume'> = text({
  name: 'resume',
  value: 'FILE',
  describe:
    'note in FILE what is sound, and go on from there after an interruption; FILE is removed at the end',
});
