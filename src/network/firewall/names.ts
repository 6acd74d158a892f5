// What rules that speak of DNS names mean for who looks names up.

import { networkInterfaces } from 'node:os';
import { isInClass, isInRange } from './address-classes.ts';
import type { PolicyOwner } from './compile-policy.ts';
import type { Policy } from './policy.ts';

/** The policies of one client, in the order in which they are looked at. */
export type OwnedPolicies = readonly { readonly owner: PolicyOwner; readonly policy: Policy }[];

/**
 * Whether a question for `name` may leave the host. Where only what is listed may be reached, other names must not be
 * asked for either: the question itself would carry data out.
 */
export function mayAskFor(policies: OwnedPolicies, name: string): boolean {
  for (const { verdict, direction, target, ports, protocol } of policies.flatMap(({ policy }) => policy)) {
    if (direction === 'from') continue;
    const isOutside = target.kind === 'any' || target.kind === 'public';
    if (verdict === 'allow' && (isOutside || (target.kind === 'name' && covers(target.name, name))))
      return true;
    // A deny of some ports only leaves others to ask for.
    if (verdict === 'deny' && isOutside && ports.length === 0 && protocol === undefined) return false;
  }
  return true;
}

/** Those who allow `name`, with the name as their rules have it. */
export function allowersOf(policies: OwnedPolicies, name: string): { owner: PolicyOwner; pattern: string }[] {
  return policies.flatMap(({ owner, policy }) =>
    policy.flatMap(({ target }) =>
      target.kind === 'name' && covers(target.name, name) ? [{ owner, pattern: target.name }] : [],
    ),
  );
}

/**
 * Whether an allowed name may open `address`: whoever answers for the name must not open what is inside, nor the host
 * (DNS rebinding).
 */
export function isAdmissible(address: string): boolean {
  if (isInClass(address, 'private') || isInClass(address, 'metadata')) return false;
  return !Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === address));
}

/** Whether a rule allows `address` without any name, so that it may be told in spite of that. */
export function isAllowedAnyway(policies: OwnedPolicies, address: string): boolean {
  return policies.some(({ policy }) =>
    policy.some(
      ({ verdict, direction, target }) =>
        verdict === 'allow' &&
        direction === 'to' &&
        ((target.kind === 'range' && isInRange(address, target.range)) ||
          ((target.kind === 'private' || target.kind === 'metadata') && isInClass(address, target.kind))),
    ),
  );
}

function covers(pattern: string, name: string): boolean {
  return pattern.startsWith('*.')
    ? name.endsWith(pattern.slice(1)) && name.length >= pattern.length
    : name === pattern;
}
