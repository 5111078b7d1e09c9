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
  /** `state`: `read` or `absent`. */
  readonly files: readonly { readonly path: string; readonly state: 'absent' | 'read' }[];
  readonly rows: readonly SettingRow[];
  readonly json: boolean;
}
