/** How a server's certificate is judged. Without `ca` by the authorities that Node.js trusts. */
export interface TlsOptions {
  /** Certificates of the authority that has signed the server's, PEM. */
  ca?: string;
  /** False: encrypted, whoever it is. Otherwise the certificate must be good, and made out to the host that was asked for. */
  verify?: boolean;
}
