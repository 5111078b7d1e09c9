/** A setting, and what gives its value; undefined for the default. */
export interface SettingRow {
  readonly key: string;
  readonly variable: string;
  readonly value: string | undefined;
  readonly from: string | undefined;
}

/** The configuration of the commands. */
export interface SettingsView {
  readonly type: 'settings';
  /** `state`: `read`, `absent`, or why the file is not read. */
  readonly files: readonly { readonly path: string; readonly state: string }[];
  readonly rows: readonly SettingRow[];
  readonly json: boolean;
}
