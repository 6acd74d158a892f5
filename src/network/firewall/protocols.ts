/** Numbers of protocols above IP: nft looks their names up in /etc/protocols, which minimal hosts do not have. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;
