/** Limits of an instance type (EC2 User Guide, "Available IP addresses per network interface"). */
export type InstanceTypeLimits = {
  maximumNetworkInterfaces: number;
  /** Counts the primary too. */
  ipv4AddressesPerInterface: number;
};

const limits = (maximumNetworkInterfaces: number, ipv4AddressesPerInterface: number): InstanceTypeLimits => ({
  maximumNetworkInterfaces,
  ipv4AddressesPerInterface,
});

/** The instance types the lab knows. */
export const INSTANCE_TYPES: Record<string, InstanceTypeLimits> = {
  'c5.large': limits(3, 10),
  'c6i.large': limits(3, 10),
  'm5.large': limits(3, 10),
  'm6i.large': limits(3, 10),
  // No type of AWS: for measurements with more addresses than any ENI holds.
  'lab.unlimited': limits(15, 1_000_000),
  't3.nano': limits(2, 2),
  't3.micro': limits(2, 2),
  't3.small': limits(3, 4),
  't3.medium': limits(3, 6),
  't3.large': limits(3, 12),
  't4g.nano': limits(2, 2),
  't4g.micro': limits(2, 2),
  't4g.small': limits(3, 4),
  't4g.medium': limits(3, 6),
  't4g.large': limits(3, 12),
};
