/* Unit tests: what their files share. */
#ifndef BERTH_UNITS_H
#define BERTH_UNITS_H

#define expect(condition) ((condition) ? (void)0 : failed(#condition, __FILE__, __LINE__))

/* Notes that the test under way has failed. */
void failed(const char *condition, const char *file, int line);

/* units-accounts.c */
void users_are_found_by_docker_rules(void);
void account_files_may_be_large_within_a_limit(void);

#endif
