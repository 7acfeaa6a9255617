#include <stdio.h>
#include <stdlib.h>

#include "authority/fetch.h"

/* usage: fetch-tool ADDRESS LIMIT MILLISECONDS: the code's name and the sentence, or OK and the
 * body */
int main(int count, char **words)
{
	struct buffer body = {0};
	rh_error error = {0};
	int code;

	if (count != 4)
		return 2;
	code = authority_fetch_within(
	    words[1], strtoul(words[2], NULL, 10), strtol(words[3], NULL, 10), &body, &error);
	printf("%s\n", rh_code_name(code));
	if (code != RH_OK)
		printf("%s\n", error.text);
	if (body.size > 0)
		fwrite(body.data, 1, body.size, stdout);
	buffer_free(&body);
	return 0;
}
