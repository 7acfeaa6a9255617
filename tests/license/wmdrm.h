#ifndef TESTS_LICENSE_WMDRM_H
#define TESTS_LICENSE_WMDRM_H

/* Pieces of WMDRM documents. */
#define IDS                                                                                    \
	"<LID>{00112233-4455-6677-8899-AABBCCDDEEFF}</LID><KID>AQIDBAUGBwgJCgsMDQ4PEA==</KID>"
#define LID_TEXT "00112233-4455-6677-8899-aabbccddeeff"
#define KID_TEXT "04030201-0605-0807-090a-0b0c0d0e0f10"
#define DATA(inside) "<DATA>" inside "</DATA>"
#define PLAIN(inside)                                                                          \
	"<LICENSE version=\"2.0.0.0\"><LICENSORINFO>" DATA(inside) "</LICENSORINFO></LICENSE>"
#define ENVELOPE(inside) "<LICENSERESPONSE>" inside "</LICENSERESPONSE>"
#define RULE(type, condition)                                                                  \
	"<ONACTION type=\"" type "\"><CONDITION><![CDATA[" condition                           \
	"]]></CONDITION></ONACTION>"
#define RULE_DOING(type, condition, action)                                                    \
	"<ONACTION type=\"" type "\"><CONDITION><![CDATA[" condition                           \
	"]]></CONDITION><ACTION><![CDATA[" action "]]></ACTION></ONACTION>"
#define ON_STORE(action) "<ONSTORE><ACTION><![CDATA[" action "]]></ACTION></ONSTORE>"
#define BACKUP RULE("Backup", "")

#endif
